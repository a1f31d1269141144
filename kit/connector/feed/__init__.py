"""The websockets of a venue, and what is subscribed on them."""
