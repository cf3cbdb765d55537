"""Tests of the scripts that compare hocket with its peers."""
