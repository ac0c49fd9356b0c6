// The real binary, started for one test file: free ports, its log as events, and an end that must be clean.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, readFileSync, rmSync, writeFileSync, existsSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { after } from 'node:test'
import { fileURLToPath } from 'node:url'

const root = path.resolve(path.dirname(fileURLToPath(import.meta.url)), '../../..')
export const binary = process.env.TURNOUT ?? path.join(root, 'build/release/turnout')

// A test that failed half-way leaves processes and sockets behind, which would keep its file from ending for ever.
const children = new Set()
function start (...words) {
  const child = spawn(binary, ...words)
  children.add(child)
  child.on('close', () => children.delete(child))
  return child
}
after(() => { setTimeout(() => process.exit(), 10000).unref() })
process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })

// None twice in one process: who asks for several wants different ones, and the kernel may give the one just closed again.
const given = new Set()
export async function freePort (host = '127.0.0.1') {
  for (;;) {
    const server = net.createServer()
    await new Promise((resolve, reject) => server.listen(0, host, resolve).on('error', reject))
    const { port } = server.address()
    await new Promise(resolve => server.close(resolve))
    if (given.has(port)) continue
    given.add(port)
    return port
  }
}

// Asks again until the answer is true (or anything but false and undefined); never a fixed sleep.
export async function until (ask, what = 'condition', withinMsec = 10000) {
  const deadline = Date.now() + withinMsec
  for (;;) {
    const answer = await ask()
    if (answer !== false && answer !== undefined && answer !== null) return answer
    if (Date.now() > deadline) throw new Error(`not within ${withinMsec} ms: ${what}`)
    await new Promise(resolve => setTimeout(resolve, 5))
  }
}

export const canConnect = port => new Promise(resolve => {
  const socket = net.connect(port, '127.0.0.1')
  socket.on('connect', () => { socket.destroy(); resolve(true) }).on('error', () => resolve(false))
})

export class Turnout {
  // yaml: the configuration, or a function of (the instance) that gives it; `admin` is added unless it is there.
  static async start (yaml, { args, port, env } = {}) {
    const t = new Turnout()
    t.dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-e2e-'))
    t.port = port ?? await freePort()
    t.admin = `unix:${t.dir}/admin.sock`
    t.file = path.join(t.dir, 'turnout.yaml')
    t.write(yaml)
    t.child = start(args ?? ['run', '-c', t.file], { stdio: ['ignore', 'pipe', 'pipe'], env: { ...process.env, ...env } })
    t.errors = ''
    t.events = []
    t.rest = ''
    t.child.stderr.on('data', data => t.#hear(data.toString()))
    t.child.stdout.on('data', data => t.#hear(data.toString()))
    t.exit = new Promise(resolve => t.child.on('close', (code, signal) => resolve(code ?? signal)))
    await Promise.race([
      until(() => t.events.some(e => e.event === 'start'), 'turnout serves'),
      t.exit.then(code => { throw new Error(`turnout ended with ${code}: ${t.errors}`) })
    ])
    return t
  }

  write (yaml) {
    let text = typeof yaml === 'function' ? yaml(this) : yaml
    if (!/^admin:/m.test(text)) text = `admin: { listen: "${this.admin}" }\n` + text
    if (!/^workers:/m.test(text)) text = 'workers: 2\n' + text
    writeFileSync(this.file, text)
    return text
  }

  #hear (text) {
    this.rest += text
    const lines = this.rest.split('\n')
    this.rest = lines.pop()
    for (const line of lines) {
      try { this.events.push(JSON.parse(line)) } catch { this.errors += line + '\n' }
    }
  }

  event (matches, what) { return until(() => this.events.find(matches), what ?? `an event for which ${matches}`) }

  command (...words) {
    const done = spawnSync(binary, [...words, '--admin', this.admin], { encoding: 'utf8' })
    return { code: done.status, out: done.stdout, err: done.stderr }
  }

  json (...words) {
    const done = this.command(...words, '--json')
    try { return JSON.parse(done.out) } catch { throw new Error(`${words.join(' ')}: ${done.code} ${done.out}${done.err}`) }
  }

  status () { return this.json('status') }
  counters () { return this.status().counters }
  server (address) { return this.json('servers').servers.find(s => s.server.endsWith('/' + address)) }
  get pid () { return this.child.pid }
  memory (key) { return Number(new RegExp(`^${key}:\\s+(\\d+)`, 'm').exec(readFileSync(`/proc/${this.pid}/status`, 'utf8'))[1]) }

  // It must end by itself, with 0, and no sanitizer may have had anything to say.
  async stop (signal = 'SIGTERM') {
    this.child.kill(signal)
    const timer = setTimeout(() => this.child.kill('SIGTERM'), 300) // the second one ends at once
    const hard = setTimeout(() => this.child.kill('SIGKILL'), 20000)
    const code = await this.exit
    clearTimeout(timer)
    clearTimeout(hard)
    if (existsSync(this.dir)) rmSync(this.dir, { recursive: true })
    if (code !== 0) throw new Error(`turnout ended with ${code}: ${this.errors}`)
    if (/Sanitizer|runtime error/.test(this.errors)) throw new Error(this.errors)
  }
}

// `turnout echo` on a free port.
export class Echo {
  static async start (name, port) {
    const e = new Echo()
    e.port = port ?? await freePort()
    e.name = name ?? `echo-${e.port}`
    e.address = `127.0.0.1:${e.port}`
    e.child = start(['echo', '--listen', e.address, '--name', e.name], { stdio: ['ignore', 'ignore', 'pipe'] })
    e.errors = ''
    e.child.stderr.on('data', data => { e.errors += data })
    e.exit = new Promise(resolve => e.child.on('close', (code, signal) => resolve(code ?? signal)))
    await until(() => canConnect(e.port), 'the echo server listens')
    return e
  }

  async stop () {
    this.child.kill('SIGTERM')
    const code = await this.exit
    if (code !== 0) throw new Error(`turnout echo ended with ${code}: ${this.errors}`)
  }

  async kill () { this.child.kill('SIGKILL'); await this.exit }
}

export const simple = (...servers) => t => `listeners: [ { listen: 127.0.0.1:${t.port} } ]
pools: { main: { servers: [ ${servers.map(s => s.address ?? s).join(', ')} ] } }
`
