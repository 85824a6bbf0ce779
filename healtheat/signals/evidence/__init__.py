"""What signals weigh: class models, context, calibration, trust."""
