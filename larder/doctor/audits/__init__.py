"""The audits: each looks at one thing that can be wrong. Pure: facts and samples in, findings out."""
