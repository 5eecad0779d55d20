"""models/ is code, not artefacts: frames and arrays in, frozen results out.

Fitted models are stored by ``flows.tracking``, never here. Nothing in this package reads or writes a file, and nothing
knows of Prefect or MLflow.
"""
