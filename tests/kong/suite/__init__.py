"""A suite that runs Lifeboat beside a real Kong, of any edition from 2.8 to 3.9."""
