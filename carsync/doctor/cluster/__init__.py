"""The cluster of `engine.type: dask`: facts gathered within deadlines, and pure checks of them."""
