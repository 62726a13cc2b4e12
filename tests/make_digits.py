"""Writes examples/data/digits.csv: 1797 rows of 64 grey values (0 ... 16, an 8 x 8 picture row by row) and the digit.

Needs scikit-learn, which ships the data. The file is in the repository, so this only needs to run if it is lost.
"""
import os

from sklearn.datasets import load_digits

HERE = os.path.dirname(os.path.abspath(__file__))
PATH = os.path.join(HERE, "..", "examples", "data", "digits.csv")


def main():
    pictures, digits = load_digits(return_X_y=True)
    os.makedirs(os.path.dirname(PATH), exist_ok=True)
    with open(PATH, "w", newline="\n") as f:
        for picture, digit in zip(pictures, digits):
            assert all(v == int(v) and 0 <= v <= 16 for v in picture)
            f.write(",".join(str(int(v)) for v in picture) + "," + str(int(digit)) + "\n")
    print("digits.csv: %d rows, %d columns" % (len(digits), pictures.shape[1] + 1))


if __name__ == "__main__":
    main()
