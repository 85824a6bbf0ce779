"""What `healtheat vet` decided on a batch, as files to train on and files for the annotation tool."""
