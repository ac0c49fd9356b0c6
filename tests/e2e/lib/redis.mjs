// Real Redis servers and Sentinels, on free ports, with a folder of their own.
import { spawn, spawnSync } from 'node:child_process'
import { mkdtempSync, rmSync, writeFileSync } from 'node:fs'
import net from 'node:net'
import os from 'node:os'
import path from 'node:path'
import { freePort, until } from './turnout.mjs'

export const hasRedis = spawnSync('redis-server', ['--version']).status === 0
export const skip = hasRedis ? false : 'redis-server is not installed (script/test --install does it)'

const children = new Set()
process.on('exit', () => { for (const child of children) child.kill('SIGKILL') })

// One command and its answer, as the plainest of clients would: an inline array, the raw reply.
export function ask (port, ...words) {
  return new Promise((resolve, reject) => {
    const socket = net.connect(port, '127.0.0.1')
    let got = ''
    socket.on('connect', () => socket.write(`*${words.length}\r\n` + words.map(w => `$${Buffer.byteLength(w)}\r\n${w}\r\n`).join('')))
    socket.on('data', data => {
      got += data.toString('latin1')
      const bulk = /^\$(\d+)\r\n/.exec(got)
      if (got.startsWith('*') ? got.endsWith('\r\n') : bulk ? got.length >= bulk[0].length + Number(bulk[1]) + 2 : got.endsWith('\r\n')) { socket.destroy(); resolve(got.trimEnd()) }
    })
    socket.on('error', reject).on('close', () => reject(new Error(`the server left: ${got}`)))
    socket.setTimeout(5000, () => { socket.destroy(); reject(new Error(`no answer to ${words}`)) })
  })
}

class Server {
  async spawned (words, folder) {
    this.dir = folder ?? mkdtempSync(path.join(os.tmpdir(), 'turnout-redis-'))
    this.words = words
    this.child = spawn('redis-server', words, { stdio: ['ignore', 'ignore', 'ignore'], cwd: this.dir })
    children.add(this.child)
    this.exit = new Promise(resolve => this.child.on('close', code => { children.delete(this.child); resolve(code) }))
  }

  signal (name) { this.child.kill(name) }
  async kill () { this.child.kill('SIGKILL'); await this.exit }
  async stop () { await this.kill(); rmSync(this.dir, { recursive: true, force: true }) }
  ask (...words) { return ask(this.port, ...words) }
  get address () { return `127.0.0.1:${this.port}` }
}

export class Redis extends Server {
  static async start ({ port, dir, args = [], isUp = true } = {}) {
    const r = new Redis()
    r.port = port ?? await freePort()
    await r.spawned(['--port', String(r.port), '--bind', '127.0.0.1', '--save', '', ...args], dir)
    if (isUp) await until(() => r.ask('PING').then(got => /PONG|NOAUTH/.test(got), () => false), 'redis answers')
    return r
  }
}

export class Sentinel extends Server {
  static async start (master, name, quorum) {
    const s = new Sentinel()
    s.port = await freePort()
    s.dir = mkdtempSync(path.join(os.tmpdir(), 'turnout-sentinel-'))
    const file = path.join(s.dir, 'sentinel.conf')
    writeFileSync(file, `port ${s.port}\nbind 127.0.0.1\nsentinel monitor ${name} 127.0.0.1 ${master.port} ${quorum}\n` +
      `sentinel down-after-milliseconds ${name} 500\nsentinel failover-timeout ${name} 5000\n`)
    await s.spawned([file, '--sentinel'], s.dir)
    await until(() => s.ask('PING').then(got => /PONG/.test(got), () => false), 'sentinel answers')
    return s
  }
}
