module conformance.test/lab

go 1.24.0
