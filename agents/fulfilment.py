"""Fulfilment: joins each order with its customer, in the partition of the customer."""

from larder import PassOn, Service
from tables import shop

fulfilment = Service("fulfilment", context="delivery")
customers = fulfilment.table(shop.customers)

fulfilment.join(
    shop.orders.by("customer_id"),
    customers,
    into=shop.fulfilments,
    missing=PassOn,
)
