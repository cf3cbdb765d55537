// The unit whose precompiled catch.hpp every test takes; main.cpp sees Catch2 v2 with its runner and cannot.
