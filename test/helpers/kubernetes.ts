import { mkdirSync, readdirSync, readlinkSync, renameSync, rmSync, symlinkSync, writeFileSync } from 'node:fs'
import { join } from 'node:path'
import { Deployment } from 'kubernetes-models/apps/v1/Deployment'
import { HorizontalPodAutoscaler } from 'kubernetes-models/autoscaling/v2/HorizontalPodAutoscaler'
import { NetworkPolicy } from 'kubernetes-models/networking.k8s.io/v1/NetworkPolicy'
import { PodDisruptionBudget } from 'kubernetes-models/policy/v1/PodDisruptionBudget'
import { ConfigMap } from 'kubernetes-models/v1/ConfigMap'
import { Namespace } from 'kubernetes-models/v1/Namespace'
import { Secret } from 'kubernetes-models/v1/Secret'
import { Service } from 'kubernetes-models/v1/Service'
import { ServiceAccount } from 'kubernetes-models/v1/ServiceAccount'
import type { Test } from 'tap'
import { parseAllDocuments } from 'yaml'
import { emptyFolder } from './process.ts'

// biome-ignore lint/suspicious/noExplicitAny: whether it has the shape of its kind is what is looked at.
export type Manifest = any

const kinds = [
  ConfigMap,
  Deployment,
  HorizontalPodAutoscaler,
  Namespace,
  NetworkPolicy,
  PodDisruptionBudget,
  Secret,
  Service,
  ServiceAccount,
]

/** @returns the documents of a text of YAML @throws an Error if it isn't well-formed */
export function readManifests(text: string): Manifest[] {
  return [...parseAllDocuments(text, { version: '1.2', strict: true })].map((document) => {
    const [fault] = [...document.errors, ...document.warnings]
    if (fault !== undefined) throw fault
    return document.toJS()
  })
}

/**
 * What Kubernetes's own schema has against a manifest.
 *
 * The package's validators take fields that the schema doesn't know. They read those that it does: a field that nobody
 * read is unknown.
 *
 * @returns a line for each fault; none is a good manifest
 */
export function faultsOf(manifest: Manifest): string[] {
  const kind = kinds.find(
    ({ apiVersion, kind }) => apiVersion === manifest.apiVersion && kind === manifest.kind,
  )
  if (kind === undefined) return [`no ${manifest.apiVersion} ${manifest.kind} is expected`]
  const unread = new Set<string>()
  const watched = watch(manifest, '', unread)
  try {
    kind.prototype.validate.call(watched)
  } catch (error) {
    return [(error as Error).message]
  }
  return [...unread].map((path) => `${path} is unknown`)
}

function watch(value: Manifest, path: string, unread: Set<string>): Manifest {
  if (typeof value !== 'object' || value === null) return value
  const pathOf = (key: string) => `${path}/${key}`
  for (const key of Object.keys(value)) unread.add(pathOf(key))
  const fields = new Map(
    Object.entries(value).map(([key, field]) => [key, watch(field, pathOf(key), unread)]),
  )
  return new Proxy(value, {
    get(target, key) {
      if (typeof key === 'symbol' || !fields.has(key)) return Reflect.get(target, key)
      unread.delete(pathOf(key))
      return fields.get(key)
    },
  })
}

/** A folder in which a Secret is mounted. */
export interface SecretVolume {
  readonly path: string
  /** Does what the kubelet does when the Secret has changed. */
  update(files: Readonly<Record<string, string>>): void
}

/**
 * A folder as the kubelet keeps it for a Secret: each file is a link through `..data`, a link to a folder of its own for
 * each version, which is turned by a rename (kubernetes/pkg/volume/util/atomic_writer.go).
 */
export function mountSecret(t: Test, files: Readonly<Record<string, string>>): SecretVolume {
  const path = emptyFolder(t)
  let version = 0

  function update(files: Readonly<Record<string, string>>): void {
    const before = version === 0 ? undefined : readlinkSync(join(path, '..data'))
    version += 1
    const folder = `..2026_11_23_12_00_00.${version}`
    mkdirSync(join(path, folder))
    for (const [name, text] of Object.entries(files))
      writeFileSync(join(path, folder, name), text, { mode: 0o440 })
    symlinkSync(folder, join(path, '..data_tmp'))
    renameSync(join(path, '..data_tmp'), join(path, '..data'))
    const linked = readdirSync(path)
    for (const name of Object.keys(files)) {
      if (!linked.includes(name)) symlinkSync(join('..data', name), join(path, name))
    }
    if (before !== undefined) rmSync(join(path, before), { recursive: true })
  }

  update(files)
  return { path, update }
}
