"""Model families: what one is (`base`), how they are found (`registry`), ours, and what they are made of.

`closed_form` and `embedding` are ours; both make the additive model (`additive`), with item-item weights that are solved from
sums over users (`linked_items`, `linked_state`, `solving`) or learned as vectors (`item_vectors`). `validation` measures a
recommender of any family.
"""
