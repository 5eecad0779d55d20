"""What was known about a customer at a cutoff: the study, the input tables, and the features built from them."""
