"""Operations of PyTensor written anew, so that they compile and run faster."""
