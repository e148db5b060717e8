"""Kubernetes manifests, shipped with the wheel."""
