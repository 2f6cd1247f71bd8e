"""The replica in containers: hosts with systemd inside, laid out as customers have them."""
