"""Train and test a defect classifier: ``python train.py --help``."""

from sem_lightning.commands.train import main

if __name__ == "__main__":
    main()
