"""How the loop works: every setting stands once, with type, default, range, title and description.

The environment says *where* (`recsys.settings`), these dataclasses say *how*. The forms of the DAGs, the options of
`recsys run`, the arguments of the steps, what a batch remembers, and docs/settings.md are made from them.
"""
