import { spawnSync } from 'node:child_process'
import { globSync, readFileSync } from 'node:fs'
import { join } from 'node:path'
import { fileURLToPath } from 'node:url'
import { parseEnv } from 'node:util'
import t from 'tap'
import { parse } from 'yaml'
import { parseConfig, variableNames } from '../../src/config.ts'
import { faultsOf, type Manifest, readManifests } from '../helpers/kubernetes.ts'
import { SECRET } from '../helpers/service.ts'

const root = fileURLToPath(new URL('../..', import.meta.url))
const folder = join(root, 'deploy', 'kubernetes')
const read = (...path: readonly string[]) => readFileSync(join(...path), 'utf8')

const EXAMPLE = 'secret.example.yaml'
const kustomization = parse(read(folder, 'kustomization.yaml'))
const files = globSync('*.yaml', { cwd: folder })
  .filter((file) => file !== 'kustomization.yaml')
  .sort()
const manifestsIn = (file: string) => readManifests(read(folder, file))
const applied = files.filter((file) => file !== EXAMPLE).flatMap(manifestsIn)
const secrets = manifestsIn(EXAMPLE)
const ofKind = (kind: string): Manifest[] => applied.filter((manifest) => manifest.kind === kind)

const [deployment] = ofKind('Deployment')
const { template, strategy } = deployment.spec
const pod = template.spec
const [container] = pod.containers
const portOf = (name: string) => container.ports.find((port: Manifest) => port.name === name)?.containerPort

const dockerfile = read(root, 'Dockerfile')
const given = parseEnv(read(folder, 'latchkey.env'))
const named = Object.fromEntries(container.env.map(({ name, value }: Manifest) => [name, value]))

/** Every value of a field, wherever in a manifest it stands. */
function valuesOf(field: string, value: Manifest): Manifest[] {
  if (typeof value !== 'object' || value === null) return []
  return Object.entries(value).flatMap(([key, inner]) => [
    ...(key === field ? [inner] : []),
    ...valuesOf(field, inner),
  ])
}

t.test('the API takes every manifest, and knows each of its fields', async (t) => {
  for (const manifest of [...applied, ...secrets]) {
    t.strictSame(faultsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`)
  }
})

t.test('a field that is unknown, a value that is wrong and one that is missing are noticed', async (t) => {
  const change = (make: (copy: Manifest) => void) => {
    const copy = structuredClone(deployment)
    make(copy)
    return faultsOf(copy)
  }
  const at = '/spec/template/spec/containers/0'
  t.strictSame(
    change((copy) => {
      copy.sepc = {}
      copy.spec.template.spec.containers[0].livenesProbe = {}
    }),
    ['/sepc is unknown', `${at}/livenesProbe is unknown`],
  )
  const wrong = [
    change((copy) => Object.assign(copy.spec, { minReadySeconds: '5' })),
    change((copy) => Object.assign(copy.spec.template.spec.containers[0], { imagePullPolicy: 'Seldom' })),
    change((copy) =>
      Object.assign(copy.spec.template.spec.containers[0].resources.limits, { memory: '1 GB' }),
    ),
    change((copy) => delete copy.spec.selector),
  ]
  for (const faults of wrong) t.match(faults, [/^data\/spec/])
  t.match(faultsOf({ apiVersion: 'apps/v1beta1', kind: 'Deployment' }), [/no apps\/v1beta1 Deployment/])
})

t.test(
  'kustomization.yaml lists every file but the example of the secrets, and brings no Secret',
  async (t) => {
    t.strictSame(
      kustomization.resources.toSorted(),
      files.filter((file) => file !== EXAMPLE),
    )
    t.strictSame(kustomization.configMapGenerator, [{ name: 'latchkey', envs: ['latchkey.env'] }])
    t.strictSame(
      kustomization.images.map(({ name }: Manifest) => name),
      [container.image],
    )
    t.not(kustomization.images[0].newTag, 'latest')
    t.strictSame(ofKind('Secret'), [])
  },
)

const skip = spawnSync('kubectl', ['version', '--client']).status === 0 ? false : 'there is no kubectl'

t.test('kubectl makes the same of it, in one namespace', { skip }, async (t) => {
  const { status, stdout, stderr } = spawnSync('kubectl', ['kustomize', folder], { encoding: 'utf8' })
  t.equal(status, 0, stderr)
  const built = readManifests(stdout)
  t.equal(built.length, applied.length + 1, 'the manifests and the ConfigMap')
  for (const manifest of built) {
    t.strictSame(faultsOf(manifest), [], `${manifest.kind} ${manifest.metadata.name}`)
    const namespace = manifest.kind === 'Namespace' ? manifest.metadata.name : manifest.metadata.namespace
    t.equal(namespace, kustomization.namespace)
  }
  const { metadata, data } = built.find(({ kind }) => kind === 'ConfigMap')
  t.same(data, given)
  t.match(metadata.name, /^latchkey-\w+$/)
  const running = built.find(({ kind }) => kind === 'Deployment').spec.template.spec.containers[0]
  t.strictSame(running.envFrom, [{ configMapRef: { name: metadata.name } }])
  const [{ newName, newTag }] = kustomization.images
  t.equal(running.image, `${newName}:${newTag}`)
})

t.test('every variable is a known one, and its value is taken', async (t) => {
  for (const name of [...Object.keys(given), ...Object.keys(named)]) {
    t.ok(variableNames.includes(name.replace(/_FILE$/, '')), name)
  }
  t.strictSame(
    Object.keys(given).filter((name) => name in named),
    [],
    'none is given twice',
  )
  const { production, ...config } = parseConfig({ ...given, JWT_SECRET: SECRET, NODE_ENV: 'production' })
  t.match(config, { workers: 1, metricsPort: portOf('metrics'), trustProxy: [String] })
  t.equal(named.DATABASE_URL, '', "the image's own is taken away")
})

t.test('each port is where the service listens, and each name of one is known', async (t) => {
  const port = portOf('http')
  t.match(dockerfile, new RegExp(`^ +PORT=${port} `, 'm'))
  t.match(dockerfile, new RegExp(`^EXPOSE ${port}$`, 'm'))
  t.match(
    read(root, 'README.md'),
    new RegExp(`^\\| \`HOST\`, \`PORT\` \\| \`[\\d.]+\`, \`${port}\` \\|`, 'm'),
  )
  for (const { spec } of ofKind('Service')) {
    for (const { targetPort } of spec.ports) t.ok(portOf(targetPort), targetPort)
  }
  const [policy] = ofKind('NetworkPolicy')
  const open = policy.spec.ingress.flatMap(({ ports }: Manifest) => ports.map(({ port }: Manifest) => port))
  t.strictSame(open, ['http', 'metrics'])
  for (const { port } of valuesOf('httpGet', container)) t.equal(port, 'http')
})

t.test('each probe asks for a path that there is, and a start has time to migrate', async (t) => {
  const { paths } = parse(read(root, 'openapi.yaml'))
  const probes = ['startupProbe', 'readinessProbe', 'livenessProbe'].map((name) => container[name])
  for (const { httpGet } of probes) t.ok(paths[httpGet.path]?.get, httpGet.path)
  t.strictSame(
    probes.map(({ httpGet }) => httpGet.path),
    ['/readyz', '/livez', '/livez'],
  )
  const [start] = probes
  const seconds = start.periodSeconds * start.failureThreshold
  // A statement of a migration may take a minute, and so may waiting for the node that migrates.
  t.ok(seconds >= 2 * 60)
  t.ok(seconds + deployment.spec.minReadySeconds < 600, 'less than the time that a rollout has')
  // /readyz answers within 2 s while the database is gone.
  t.ok(start.timeoutSeconds > 2)
})

t.test('a pod that goes has time to be left, and then to drain', async (t) => {
  t.strictSame(strategy.rollingUpdate, { maxUnavailable: 0, maxSurge: 1 })
  const before = container.lifecycle.preStop.sleep.seconds
  t.ok(before >= 5)
  t.ok(pod.terminationGracePeriodSeconds > before + 10)
})

t.test('every selector finds the pods, and every name what it names', async (t) => {
  const labels = template.metadata.labels
  const selectors = [
    ...valuesOf('selector', applied).map((selector) => selector.matchLabels ?? selector),
    ...valuesOf('podSelector', applied).map(({ matchLabels }) => matchLabels),
    ...valuesOf('labelSelector', applied).map(({ matchLabels }) => matchLabels),
  ]
  t.equal(selectors.length, 7)
  for (const selector of selectors) t.strictSame(selector, labels)

  const [{ spec: scaler }] = ofKind('HorizontalPodAutoscaler')
  const { apiVersion, kind, metadata } = deployment
  t.strictSame(scaler.scaleTargetRef, { apiVersion, kind, name: metadata.name })
  t.notOk('replicas' in deployment.spec, 'it alone says how many')
  t.equal(pod.serviceAccountName, ofKind('ServiceAccount')[0].metadata.name)
  t.strictSame(container.envFrom, [{ configMapRef: { name: kustomization.configMapGenerator[0].name } }])
})

t.test('every volume is mounted as a folder, and the secrets are the files in them', async (t) => {
  const volumes = new Map<string, Manifest>(
    pod.volumes.map(({ name, ...volume }: Manifest) => [name, volume]),
  )
  const mounted = container.volumeMounts.flatMap(({ name, mountPath, subPath }: Manifest) => {
    t.equal(subPath, undefined, 'it would never change')
    const { secretName } = volumes.get(name)?.secret ?? {}
    const secret = secrets.find(({ metadata }) => metadata.name === secretName)
    return Object.keys(secret?.stringData ?? {}).map((key) => join(mountPath, key))
  })
  t.strictSame(
    container.volumeMounts.map(({ name }: Manifest) => name),
    [...volumes.keys()],
  )
  t.strictSame(mounted, [named.JWT_SECRET_FILE, named.DATABASE_URL_FILE])
  for (const { secret } of volumes.values()) t.equal(secret.defaultMode, 0o440, 'its group reads it')
  for (const { metadata } of secrets) t.equal(metadata.namespace, kustomization.namespace)
})

t.test('the pods are as confined as the namespace wants it (restricted)', async (t) => {
  const [namespace] = ofKind('Namespace')
  t.equal(namespace.metadata.labels['pod-security.kubernetes.io/enforce'], 'restricted')
  const user = /^USER (\d+):(\d+)$/m.exec(dockerfile)
  const [uid, gid] = [Number(user?.[1]), Number(user?.[2])]
  t.ok(uid > 0, 'Kubernetes can see that the image is not run by root')
  t.strictSame(pod.securityContext, {
    runAsNonRoot: true,
    runAsUser: uid,
    runAsGroup: gid,
    fsGroup: gid,
    seccompProfile: { type: 'RuntimeDefault' },
  })
  t.strictSame(container.securityContext, {
    allowPrivilegeEscalation: false,
    readOnlyRootFilesystem: true,
    capabilities: { drop: ['ALL'] },
  })
  t.equal(pod.automountServiceAccountToken, false)
  t.equal(ofKind('ServiceAccount')[0].automountServiceAccountToken, false)
  t.equal(pod.enableServiceLinks, false)
})

t.test('all pods together leave PostgreSQL connections over', async (t) => {
  const [{ spec: scaler }] = ofKind('HorizontalPodAutoscaler')
  const { databasePoolSize, workers } = parseConfig({ ...given, JWT_SECRET: SECRET })
  const perPod = databasePoolSize + workers
  // PostgreSQL has 100, of which it keeps 3; one pod comes and one goes.
  t.ok((scaler.maxReplicas + strategy.rollingUpdate.maxSurge + 1) * perPod <= 97)
  t.ok(scaler.minReplicas >= 3)
})

t.test('README.md says of each file what it is', async (t) => {
  const readme = read(folder, 'README.md')
  for (const file of [...files, 'kustomization.yaml', 'latchkey.env']) {
    t.match(readme, new RegExp(`^\\| \\[${file}\\]\\(${file}\\) \\| .+ \\|$`, 'm'))
  }
})
