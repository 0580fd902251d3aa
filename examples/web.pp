# What examples/web.yaml adds to the base: Apache with one site, by Debian's module for it.
class { 'apache':
  default_vhost => false,
  mpm_module    => 'event',
}

apache::vhost { 'site':
  servername => 'site',
  port       => 80,
  docroot    => '/srv/site',
}

file { '/srv/site/index.html':
  content => "hello from ${facts['os']['name']} ${facts['os']['release']['major']}\n",
}
