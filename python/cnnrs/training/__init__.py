"""Training: what a model does with data.

The modules, each of which imports only those before it:

| module | has |
|---|---|
| `arguments` | checks of arguments that `fit`, `evaluate` and `predict` share |
| `samples` | `(x, y, sample_weight)`: arrays in structures |
| `py_dataset`, `worker_processes`, `data_adapter` | what users give as data: arrays, or what yields batches |
| `batches` | the batches of epochs, in their order |
| `logs` | values of losses and metrics by name |
| `outputs`, `compiled_loss`, `compiled_metrics`, `compiled` | what `compile` was given, resolved |
| `step` | a step on a batch: recorded once and replayed, or run in Python |
| `model_steps` | `ModelSteps`: `compile`, and what the steps of a model compute |
| `mixing` | `BatchMixing`: MixUp and CutMix within the steps of `fit` |
| `runner` | `StepRunner`: runs the steps of a model on batches |
| `step_functions` | `StepFunctions`: `train_function` and its like, which a user may replace |
| `loop` | the loop over the batches of an epoch, with callbacks |
| `trainer` | `Trainer`, the base of models: `fit`, `evaluate`, `predict` |
"""
