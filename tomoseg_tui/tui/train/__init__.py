"""The Train tab: training sets, trainings, their curves and triples, and audits."""
