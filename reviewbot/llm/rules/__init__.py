"""The offline provider: secrets, hidden Unicode, leftovers and syntax rules over the changed lines."""
