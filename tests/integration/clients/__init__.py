"""The clients of all languages: each command of their READMEs runs."""
