"""What others can call over HTTP: a corpus as a retrieval server, a judge's verdicts as rewards."""
