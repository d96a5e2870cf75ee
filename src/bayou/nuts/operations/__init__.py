"""Operations of PyTensor written anew, for Numba to compile them in a blink."""
