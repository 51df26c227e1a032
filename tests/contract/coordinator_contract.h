/*
 * coordinator_contract.h - what the files of the contract suite of the coordinator share.
 */
#ifndef AFF_TESTS_CONTRACT_COORDINATOR_CONTRACT_H
#define AFF_TESTS_CONTRACT_COORDINATOR_CONTRACT_H

#include "coordinator_node.h"

#include <unistd.h>

/* A cluster of its own, under a name that was not used before. cluster_fini() ends it. */
void contract_cluster(struct cluster *cluster, uint32_t partitions, uint32_t replicas);

/* The number of failures. */
int contract_cluster_tests(void);
int contract_ensemble_tests(void);

#endif
