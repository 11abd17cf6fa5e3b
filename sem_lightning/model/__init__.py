"""The grayscale ResNet18 and the LightningModule that trains it."""
