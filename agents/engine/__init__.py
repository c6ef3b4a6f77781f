"""Consuming, joining, publishing: what runs a service. Only here, and in app, are Faust and aiokafka known."""
