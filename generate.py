"""Write a labelled set of simulated images to disk: ``python generate.py --help``."""

from sem_lightning.commands.generate import main

if __name__ == "__main__":
    main()
