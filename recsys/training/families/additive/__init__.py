"""The additive model: how its terms are found, weighed and fitted, whichever family its item-item weights come from."""
