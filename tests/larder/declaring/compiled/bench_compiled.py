"""What a join costs for each record, without tables: `python -m tests.larder.declaring.compiled.bench_compiled`.

Prints microseconds for each record: the keys read out of an order, one by one and by
the batch, and the rows spliced in.
"""

import sys
import timeit

from agents import fulfilment, shipping
from larder.declaring.compiled.joins import compile_join
from larder.declaring.joins import Join

ORDER = (
    b'{"order_id":"o123456","customer_id":"c12345","product_id":"p123","quantity":3,'
    b'"amount":12.5,"ordered_at":"2024-01-01T00:00:00Z"}'
)
ROW = b'{"customer_id":"c12345","name":"Customer number 12345","country":"AT","revision":17}'
TIMES = 200_000
BATCH = 1_000


def measure(join: Join) -> None:
    compiled = compile_join(join)
    rows = (ROW,) * len(join.lookups)
    names = {"compiled": compiled, "order": ORDER, "orders": [ORDER] * BATCH, "rows": rows}
    for what, statement, each in (
        ("references", "compiled.references(order)", 1),
        ("references_many", "compiled.references_many(orders)", BATCH),
        ("output", "compiled.output(b'o123456', order, rows)", 1),
    ):
        best = min(timeit.repeat(statement, globals=names, number=TIMES // each, repeat=7))
        sys.stdout.write(f"{join.name} ({len(rows)} tables) {what}: {best / TIMES * 1e6:.3f} us\n")


if __name__ == "__main__":
    for declared in (fulfilment.fulfilment, shipping.shipping):
        measure(declared.joins[0])
