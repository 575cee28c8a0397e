"""The parts of `bench/sdk.py`: the servers, the application under test, the scenarios, the report."""
