"""How groups vary: the description of a model, priors, effects, recipes, marginal likelihoods."""
