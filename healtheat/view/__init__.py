"""What review and report both show: samples, work list, pictures, map."""
