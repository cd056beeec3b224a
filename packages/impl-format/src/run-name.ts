/** `YYYY_MM_DD_NN`, UTC. See `parseRunName`. */
export type RunName = string & { readonly __brand: 'RunName' };
