//! Every wrong file has its own error; every right one says what it is.
