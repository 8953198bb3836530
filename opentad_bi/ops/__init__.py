"""Pure functions on tensors and arrays, and the records that pass between layers."""
