"""Small scripts that compare ways of doing one step; what they showed is in docs/performance.md."""
