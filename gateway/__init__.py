"""The one door: registry, routes and pages behind Envoy."""
