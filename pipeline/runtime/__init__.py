"""Running an image: hardened on a container engine, or in namespaces of this machine's own."""
