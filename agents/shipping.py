"""Shipping: joins each order with its customer and its product, from global tables."""

from larder import DeadLetter, Service, Wait
from tables import shop

shipping = Service("shipping", context="delivery")
customers = shipping.global_table(shop.customers)
products = shipping.global_table(shop.products)

shipping.join(
    shop.orders,
    [customers.on("customer_id"), products.on("product_id")],
    into=shop.enriched_orders,
    missing=Wait(seconds=30).then(DeadLetter),
)
