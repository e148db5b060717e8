"""Example and production configuration files, shipped with the wheel."""
