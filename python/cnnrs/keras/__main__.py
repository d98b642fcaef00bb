"""`python -m cnnrs.keras script.py` runs a script whose `keras` and `tensorflow` are cnnrs."""

from cnnrs.keras.running import main

if __name__ == "__main__":
    main()
