"""Many processes that train one network: how a batch is divided, how sums travel, what all must agree on."""
