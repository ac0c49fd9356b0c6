"""What bench/run is made of: kernel figures, topologies, peers, rounds, scenarios, pictures."""
