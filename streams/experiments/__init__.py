"""What the arms of experiments did: units from the records, and the report on them."""
