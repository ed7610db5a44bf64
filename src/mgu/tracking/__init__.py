"""Training runs in the tools that people watch them with: TensorBoard while they go on, MLflow once they have ended."""
